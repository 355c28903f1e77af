// Products of tiles in a device's matrix units and nothing else: `measure::Peaks` measures how many a second.
//
// Each subgroup keeps 8 independent tiles of sums and adds the products of 2 tiles by 4 to them, params.rounds times:
// 16 * SIDE * SIDE * SIDE operations a round. x holds the 6 tiles, row by row; the compiler can't foresee them, so that
// it folds nothing. y receives the sums of each subgroup, so that it drops nothing.

enable wgpu_cooperative_matrix;

alias Factor = f32;
alias Sum = f32;
alias Left = coop_mat8x8<Factor, A>;
alias Right = coop_mat8x8<Factor, B>;
alias Sums = coop_mat8x8<Sum, C>;
const SIDE: u32 = 8u;
const TILE = SIDE * SIDE;

struct Params { rounds: u32 }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Factor>;
@group(0) @binding(2) var<storage, read_write> y: array<Sum>;

@compute @workgroup_size(128)
fn main(group: Group, @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) subgroups: u32) {
    let l = coopLoadT<Left>(&x[0], SIDE);
    let m = coopLoadT<Left>(&x[TILE], SIDE);
    let p = coopLoadT<Right>(&x[2u * TILE], SIDE);
    let q = coopLoadT<Right>(&x[3u * TILE], SIDE);
    let r = coopLoadT<Right>(&x[4u * TILE], SIDE);
    let s = coopLoadT<Right>(&x[5u * TILE], SIDE);
    var lp = Sums();
    var lq = Sums();
    var lr = Sums();
    var ls = Sums();
    var mp = Sums();
    var mq = Sums();
    var mr = Sums();
    var ms = Sums();
    for (var round = 0u; round < params.rounds; round++) {
        lp = coopMultiplyAdd(l, p, lp);
        lq = coopMultiplyAdd(l, q, lq);
        lr = coopMultiplyAdd(l, r, lr);
        ls = coopMultiplyAdd(l, s, ls);
        mp = coopMultiplyAdd(m, p, mp);
        mq = coopMultiplyAdd(m, q, mq);
        mr = coopMultiplyAdd(m, r, mr);
        ms = coopMultiplyAdd(m, s, ms);
    }
    let i = (linear(group.id, group.count) * subgroups + subgroup) * 8u * TILE;
    coopStoreT(lp, &y[i], SIDE);
    coopStoreT(lq, &y[i + TILE], SIDE);
    coopStoreT(lr, &y[i + 2u * TILE], SIDE);
    coopStoreT(ls, &y[i + 3u * TILE], SIDE);
    coopStoreT(mp, &y[i + 4u * TILE], SIDE);
    coopStoreT(mq, &y[i + 5u * TILE], SIDE);
    coopStoreT(mr, &y[i + 6u * TILE], SIDE);
    coopStoreT(ms, &y[i + 7u * TILE], SIDE);
}
