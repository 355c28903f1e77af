// Updates of slices by the places and chains of scatter_link.wgsl, in place: y[place[u - first], ..] takes each
// updates[u, ..] of the share `first` to `end` in turn.
//
// One invocation has one element of one update, any four bytes. If an earlier update of the share has the same place, that
// one's invocation applies both; otherwise it applies all of this place in their order. It finds them in the place's
// chain: so many updates take time in proportion to their number. If the chain is longer than LONGEST, because many updates
// have one place, it looks through the whole share, as scatter.wgsl does. y: [place][inner]; updates: [u][inner].

struct Params { inner: u32, first: u32, end: u32 }

const LONGEST: u32 = 32u;
const LONG: u32 = 0xfffffffeu;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> place: array<u32>;
@group(0) @binding(2) var<storage, read> head: array<u32>;
@group(0) @binding(3) var<storage, read> next: array<u32>;
@group(0) @binding(4) var<storage, read> updates: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<u32>;

fn load_place(i: u32) -> u32 { return place[i]; }
fn load_head(i: u32) -> u32 { return head[i]; }
fn load_next(i: u32) -> u32 { return next[i]; }
fn load_updates(i: u32) -> u32 { return updates[i]; }
fn load_y(i: u32) -> u32 { return y[i]; }
fn store_y(i: u32, value: u32) { y[i] = value; }

// Returns the first update of a place from `from` on, NONE if there is no other, LONG if the chain is too long.
fn following(slice: u32, start: u32) -> u32 {
    var least = NONE;
    var at = load_head(chain(slice));
    for (var i = 0u; i < LONGEST; i++) {
        let j = at - params.first;
        if j >= params.end - params.first { return least; }
        let same = load_place(j) == slice;
        let before = load_next(j);
        if same && at >= start { least = min(least, at); }
        at = before;
    }
    return LONG;
}

@compute @workgroup_size(64)
fn main(group: Group, @builtin(local_invocation_index) lane: u32) {
    let i = linear(group.id, group.count) * 64u + lane;
    let share = params.end - params.first;
    if i >= share * params.inner { return; }
    let own = params.first + i / params.inner;
    let element = i % params.inner;
    let slice = load_place(own - params.first);
    if slice == NONE { return; }
    let to = slice * params.inner + element;
    var value = load_y(to);
    var u = following(slice, params.first);
    if u == LONG {
        for (var j = 0u; j < share; j += 4u) {
            let k = min(vec4<u32>(j) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(share - 1u));
            let places = vec4<u32>(load_place(k.x), load_place(k.y), load_place(k.z), load_place(k.w));
            let bits = select(vec4<u32>(), vec4<u32>(1u, 2u, 4u, 8u), places == vec4<u32>(slice));
            var hits = bits.x | bits.y | bits.z | bits.w;
            while hits != 0u {
                let update = params.first + j + firstTrailingBit(hits);
                if update >= params.end { break; }
                if update < own { return; }
                hits &= hits - 1u;
                value = updated(value, load_updates(update * params.inner + element));
            }
        }
        u = NONE;
    } else if u != own {
        return;
    }
    while u < LONG {
        value = updated(value, load_updates(u * params.inner + element));
        u = following(slice, u + 1u);
    }
    store_y(to, value);
}
