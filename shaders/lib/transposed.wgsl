// Which taps of a transposed convolution reach a pixel.

// The first tap t with a multiple of the stride at `at - t * dilation`, or `kernel` if there is none.
fn first_tap(at: u32, kernel: u32, stride: u32, dilation: u32, step: u32) -> u32 {
    var rest = at % stride;
    for (var tap = 0u; tap < min(step, kernel); tap++) {
        if rest == 0u { return tap; }
        rest = (rest + stride - dilation % stride) % stride;
    }
    return kernel;
}

// The first tap that isn't before `begin`, of those that follow `first` at every `step`.
fn next_tap(first: u32, begin: u32, step: u32) -> u32 {
    return first + (max(begin, first) - first + step - 1u) / step * step;
}
