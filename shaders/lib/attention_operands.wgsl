// Queries, keys and values for attention_matrix.wgsl, whose constants, loads and workgroup memory they use.

// The texels of q that an invocation brings, its pairs of texels of k, and its squares of 4 keys and a texel of v.
const PAIRS: u32 = DEPTH / 8u;
const Q_EACH: u32 = ROWS * DEPTH / 4u / LANES;
const K_EACH: u32 = (KEYS * PAIRS + LANES - 1u) / LANES;
const V_EACH: u32 = (COLUMNS * VALUES / 4u + LANES - 1u) / LANES;
alias Queries = array<vec4<f32>, Q_EACH>;
alias Keys = array<vec4<u32>, 2u * K_EACH>;
alias Values = array<vec4<u32>, 4u * V_EACH>;
const FOUR = vec4<u32>(0u, 1u, 2u, 3u);

fn bring_queries(n: u32, head: u32, first: u32, lane: u32) -> Queries {
    var brought = Queries();
    for (var i = 0u; i < Q_EACH; i++) {
        let t = lane + i * LANES;
        let pair = min(first + t / (DEPTH / 4u), params.group * params.queries - 1u);
        let row = params.q.w + row_of(params.q, n, head, params.group, pair);
        brought[i] = load_q(row / 4u + min(t % (DEPTH / 4u), params.d / 4u - 1u));
    }
    return brought;
}

fn put_queries(brought: Queries, lane: u32) {
    for (var i = 0u; i < Q_EACH; i++) {
        let t = lane + i * LANES;
        let c = 4u * (t % (DEPTH / 4u));
        let value = select(vec4<f32>(), brought[i], c < params.d);
        for (var e = 0u; e < 4u; e++) { queries[t / (DEPTH / 4u) * ROW + (c + e)] = f16(value[e]); }
    }
}

// Loads keys from `key` on, as they are stored. Beyond the last key or element it loads the last again.
fn bring_keys(base: u32, key: u32, end: u32, lane: u32) -> Keys {
    var brought = Keys();
    for (var i = 0u; i < 2u * K_EACH; i++) {
        let pair = lane + i / 2u * LANES;
        let c = min(pair % PAIRS * 2u + i % 2u, params.d / 4u - 1u);
        brought[i] = raw_k((base + min(key + pair / PAIRS, end - 1u) * params.k.z) / 4u + c);
    }
    return brought;
}

// The score of a key at the end or beyond isn't used.
fn put_keys(brought: Keys, lane: u32) {
    for (var i = 0u; i < K_EACH; i++) {
        let pair = lane + i * LANES;
        if KEYS * PAIRS % LANES == 0u || pair < KEYS * PAIRS {
            for (var t = 0u; t < 2u; t++) {
                let c = pair % PAIRS * 2u + t;
                let value = select(vec4<f32>(), value_k(brought[2u * i + t]), vec4<bool>(4u * c < params.d));
                for (var e = 0u; e < 4u; e++) { keys[pair / PAIRS * ROW + (4u * c + e)] = f16(value[e]); }
            }
        }
    }
}

// Returns an invocation's square: (its texel of a row of v, its four keys). Neighbours share rows, and write to different banks.
fn square(i: u32, lane: u32) -> vec2<u32> {
    let number = lane + i * LANES;
    return vec2<u32>(number / (4u * COLUMNS) * 4u + number % 4u, number / 4u % COLUMNS);
}

fn bring_values(base: u32, key: u32, end: u32, first4: u32, lane: u32) -> Values {
    var brought = Values();
    for (var i = 0u; i < 4u * V_EACH; i++) {
        let own = square(i / 4u, lane);
        let c = min(first4 + own.x, params.dv / 4u - 1u);
        brought[i] = raw_v((base + min(key + 4u * own.y + i % 4u, end - 1u) * params.v.z) / 4u + c);
    }
    return brought;
}

// The weight of a key at the end or beyond is 0, but its product with an infinity would be NaN.
fn put_values(brought: Values, key: u32, end: u32, first4: u32, lane: u32) {
    for (var i = 0u; i < V_EACH; i++) {
        let own = square(i, lane);
        if COLUMNS * VALUES / 4u % LANES == 0u || own.x < VALUES / 4u {
            var four = array<vec4<f32>, 4>();
            for (var j = 0u; j < 4u; j++) {
                let there = 4u * (first4 + own.x) < params.dv && key + 4u * own.y + j < end;
                four[j] = select(vec4<f32>(), value_v(brought[4u * i + j]), there);
            }
            for (var e = 0u; e < 4u; e++) {
                let at = (4u * own.x + e) * KEYS_ROW + 4u * own.y;
                for (var j = 0u; j < 4u; j++) { values[at + j] = f16(four[j][e]); }
            }
        }
    }
}
