// The result of an element and an update. KIND: 0 the update, 1 sum, 2 product, 3 maximum, 4 minimum (NaN if either is
// NaN); FLOAT: f32s, otherwise i32s.

override KIND: u32 = 0u;
override FLOAT: bool = true;

fn updated(old: u32, update: u32) -> u32 {
    if KIND == 0u { return update; }
    if FLOAT {
        let a = bitcast<f32>(old);
        let b = bitcast<f32>(update);
        switch KIND {
            case 2u: { return bitcast<u32>(a * b); }
            case 3u: { return bitcast<u32>(maximum(vec4<f32>(a), vec4<f32>(b)).x); }
            case 4u: { return bitcast<u32>(minimum(vec4<f32>(a), vec4<f32>(b)).x); }
            default: { return bitcast<u32>(a + b); }
        }
    }
    let a = bitcast<i32>(old);
    let b = bitcast<i32>(update);
    switch KIND {
        case 2u: { return bitcast<u32>(a * b); }
        case 3u: { return bitcast<u32>(max(a, b)); }
        case 4u: { return bitcast<u32>(min(a, b)); }
        default: { return bitcast<u32>(a + b); }
    }
}

// Returns the places of indices, which from -size to -1 count from the end; `size` or more if they are out of range.
fn from_either_end(index: vec4<i32>, size: u32) -> vec4<u32> {
    return vec4<u32>(select(index, index + vec4<i32>(i32(size)), index < vec4<i32>()));
}
