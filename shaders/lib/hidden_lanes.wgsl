// hidden.wgsl for Mesa's llvmpipe, which loads one number for 8 lanes 8 times: each lane loads one of 8, shuffles distribute them.

fn hidden_texels(at: u32, lane: u32) -> array<vec4<f32>, QUADS> {
    var texels = array<vec4<f32>, QUADS>();
    for (var j = 0u; j < QUADS; j += 2u) {
        let own = hidden[at + 4u * j + (lane % 8u)];
        texels[j] = vec4<f32>(
            subgroupShuffle(own, 0u), subgroupShuffle(own, 1u), subgroupShuffle(own, 2u), subgroupShuffle(own, 3u),
        );
        texels[j + 1u] = vec4<f32>(
            subgroupShuffle(own, 4u), subgroupShuffle(own, 5u), subgroupShuffle(own, 6u), subgroupShuffle(own, 7u),
        );
    }
    return texels;
}
