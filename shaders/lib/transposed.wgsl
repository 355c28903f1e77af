// The taps of a transposed convolution that reach a pixel.

// Returns the first tap t with a multiple of the stride at `at - t * dilation`; `kernel` if none has.
fn first_tap(at: u32, kernel: u32, stride: u32, dilation: u32, step: u32) -> u32 {
    var rest = at % stride;
    for (var tap = 0u; tap < min(step, kernel); tap++) {
        if rest == 0u { return tap; }
        rest = (rest + stride - dilation % stride) % stride;
    }
    return kernel;
}

// Returns the first tap from `begin` on, among every `step`-th tap from `first` on.
fn next_tap(first: u32, begin: u32, step: u32) -> u32 {
    return first + (max(begin, first) - first + step - 1u) / step * step;
}
