//! Numbers that a shader and its operation both state.

use super::root;

fn read(path: &str) -> String {
    std::fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the number of a `const NAME: TYPE = NUMBER;` or `const NAME = NUMBERu;`.
fn constant(path: &str, name: &str) -> u32 {
    let text = read(path);
    let mut values = text.lines().filter_map(|line| {
        let (declared, value) = line.split_once("const ")?.1.split_once(" = ")?;
        let digits: String = value.chars().take_while(char::is_ascii_digit).collect();
        (declared.split(':').next() == Some(name)).then(|| digits.parse().ok())?
    });
    values.next().unwrap_or_else(|| panic!("{path} has no constant {name}"))
}

/// A workgroup's share of the work is a number in the shader's text, because it decides how far loops are unrolled.
#[test]
fn shaders_and_operations_agree_on_the_work_of_a_workgroup() {
    let block = constant("src/ops/gemm/lanes.rs", "BLOCK");
    let (outputs, products) =
        (constant("src/ops/gemm/winograd.rs", "OUTPUTS"), constant("src/ops/gemm/winograd.rs", "PRODUCTS"));
    let pooled = constant("src/ops/gemm/pool.rs", "COLUMNS");
    let queries = constant("src/ops/attention/lanes.rs", "PAIRS");
    let keys = ["src/ops/attention/decode.rs", "shaders/attention_decode.wgsl"].map(|path| constant(path, "KEYS"));
    assert_eq!(keys[0], keys[1], "the keys of a split");
    let lanes = block / 4;
    assert_eq!(queries, lanes, "each lane has a query");
    for shader in ["gemm", "winograd", "separable", "gemm_pool", "attention"] {
        let path = format!("shaders/{shader}_lanes.wgsl");
        let text = read(&path);
        let mut stated = vec![format!("@workgroup_size({lanes})")];
        if shader != "attention" {
            let texel = |i: u32| format!("vec2<i32>({}, 0)", i * lanes);
            stated.extend([format!("x {block} channels"), format!("vec2<i32>({block} * k + "), texel(1)]);
        }
        match shader {
            "winograd" => stated.extend([
                format!("{lanes} tiles of {outputs}x1 pixels"),
                format!("+ tap) * {products}"),
                format!("array<vec4<f32>, {outputs}>"),
            ]),
            "gemm_pool" => {
                stated.extend([format!("rows of {pooled} pooled pixels"), format!("array<vec4<f32>, {pooled}>")]);
            }
            "attention" => stated.push(format!("id % tiles * {queries}u")),
            _ => {}
        }
        for stated in stated {
            assert!(
                text.contains(&stated),
                "{path}: \"{stated}\" is no longer there, or its operation has another number"
            );
        }
    }
    for kind in ["IMAGE", "RAMP", "CLASSES", "LABELS"] {
        let [shader, drawing] =
            ["shaders/texture_output.wgsl", "src/texture/output.rs"].map(|path| constant(path, kind));
        assert_eq!(shader, drawing, "{kind}");
    }
}
