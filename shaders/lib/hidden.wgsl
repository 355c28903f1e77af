// The states that a recurrent layer's products read together: 4 QUADS of `hidden` from `at` on, the same for all invocations.

fn hidden_texels(at: u32, lane: u32) -> array<vec4<f32>, QUADS> {
    var texels = array<vec4<f32>, QUADS>();
    for (var j = 0u; j < QUADS; j++) {
        let i = at + 4u * j;
        texels[j] = vec4<f32>(hidden[i], hidden[i + 1u], hidden[i + 2u], hidden[i + 3u]);
    }
    return texels;
}
