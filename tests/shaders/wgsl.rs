//! Rules of browsers' compiler, Tint, that naga doesn't check: WGSL's grammar of operators, numbers within their type,
//! and variables with a value. (Chromium zeroes `var a: array<..>;` once, not in each turn of a loop.)

/// A word, a number or a sign, and its line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Token<'a> {
    text: &'a str,
    line: usize,
}

/// The signs of several characters, the longest first.
const SIGNS: [&str; 22] = [
    "<<=", ">>=", "->", "&&", "||", "<<", ">>", "<=", ">=", "==", "!=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=",
    "++", "--", "//",
];

/// The words before the `<` of a template.
const TEMPLATES: [&str; 17] = [
    "array",
    "atomic",
    "bitcast",
    "coop_mat8x8",
    "coop_mat16x16",
    "mat2x2",
    "mat3x3",
    "mat4x4",
    "ptr",
    "texture_2d",
    "texture_storage_2d",
    "var",
    "vec2",
    "vec3",
    "vec4",
    "coopLoad",
    "coopLoadT",
];

/// Returns the tokens of a text, without comments and templates.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let mut rest = line.split("//").next().unwrap_or_default().trim_start();
        while let Some(first) = rest.chars().next() {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            // An exponent's sign is part of the number.
            let number = |(i, c): (usize, char)| {
                let exponent = rest[..i].ends_with(['e', 'p']) || (rest[..i].ends_with('E') && !rest.starts_with("0x"));
                word(c) || c == '.' || (exponent && (c == '+' || c == '-'))
            };
            let end = match first {
                '0'..='9' => rest.char_indices().find(|&at| !number(at)).map(|(i, _)| i),
                c if word(c) => rest.find(|c| !word(c)),
                _ => {
                    Some(SIGNS.iter().find(|sign| rest.starts_with(**sign)).map_or(first.len_utf8(), |sign| sign.len()))
                }
            };
            let (token, behind) = rest.split_at(end.unwrap_or(rest.len()));
            tokens.push(Token { text: token, line: i + 1 });
            rest = behind.trim_start();
        }
    }
    without_templates(&tokens)
}

fn without_templates<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut left = Vec::new();
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate() {
        match token.text {
            "<" if depth > 0 || (i > 0 && TEMPLATES.contains(&tokens[i - 1].text)) => depth += 1,
            ">" if depth > 0 => depth -= 1,
            ">>" if depth > 0 => depth -= 2,
            _ if depth > 0 => {}
            _ => left.push(*token),
        }
    }
    left
}

/// Returns the faults of a text: the line and the reason.
pub(crate) fn faults(text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let mut faults = uninitialised(&tokens);
    faults
        .extend(tokens.iter().filter_map(|token| Some(format!("line {}: {}", token.line, wrong_number(token.text)?))));
    faults.extend(expressions(&tokens).iter().filter_map(|(line, operators)| {
        let problem = mixed(operators)?;
        Some(format!("line {line}: {problem}: {}", operators.join(" ")))
    }));
    faults
}

/// Returns the variables without a value inside of loops.
fn uninitialised(tokens: &[Token]) -> Vec<String> {
    let mut faults = Vec::new();
    // An open brace is true if it is a loop's; parentheses aren't tracked.
    let mut open: Vec<bool> = Vec::new();
    let mut head = false;
    for (i, token) in tokens.iter().enumerate() {
        match token.text {
            "for" | "while" | "loop" => head = true,
            "{" => open.push(std::mem::take(&mut head)),
            "}" => drop(open.pop()),
            "var" if open.contains(&true) => {
                let ends = tokens[i..].iter().find(|token| ["=", ";"].contains(&token.text));
                if ends.is_none_or(|end| end.text == ";") {
                    let name = tokens.get(i + 1).map_or("", |name| name.text);
                    faults.push(format!("line {}: `var {name}` in a loop has no value", token.line));
                }
            }
            _ => {}
        }
    }
    faults
}

/// Returns the reason why a number exceeds its type.
fn wrong_number(text: &str) -> Option<String> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let hexadecimal = text.starts_with("0x");
    if hexadecimal && text.contains(['.', 'p']) {
        return Some(format!("{text}: write it in decimal"));
    }
    let (digits, suffix) =
        match text.strip_suffix(if hexadecimal { &['i', 'u'][..] } else { &['i', 'u', 'f', 'h'][..] }) {
            Some(digits) => (digits, &text[digits.len()..]),
            None => (text, ""),
        };
    if !hexadecimal && (suffix == "f" || suffix == "h" || digits.contains(['.', 'e', 'E'])) {
        let most = if suffix == "h" { 65_504.0 } else { f64::from(f32::MAX) };
        let fits = digits.parse::<f64>().is_ok_and(|value| value <= most);
        return (!fits).then(|| format!("{text} is more than {most:e}"));
    }
    let most = match suffix {
        "u" => u64::from(u32::MAX),
        "i" => i32::MAX as u64,
        // An abstract number may be negated: it must fit any type that it becomes.
        _ => u64::from(u32::MAX),
    };
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    (!value.is_ok_and(|value| value <= most)).then(|| format!("{text} is more than {most}"))
}

/// Returns each expression's binary operators in order, with its line. Parentheses and brackets nest expressions.
fn expressions<'a>(tokens: &[Token<'a>]) -> Vec<(usize, Vec<&'a str>)> {
    let mut found = Vec::new();
    let mut open: Vec<(usize, Vec<&str>)> = vec![(1, Vec::new())];
    let mut operand = false;
    let mut ends = |open: &mut Vec<(usize, Vec<&'a str>)>| {
        let operators = open.last_mut().map(|(line, operators)| (*line, std::mem::take(operators)));
        found.extend(operators.filter(|(_, operators)| operators.len() > 1));
    };
    for token in tokens {
        match token.text {
            "(" | "[" | "{" => {
                if token.text == "{" {
                    ends(&mut open);
                }
                open.push((token.line, Vec::new()));
                operand = false;
            }
            ")" | "]" | "}" => {
                ends(&mut open);
                open.pop();
                operand = token.text != "}";
            }
            "," | ";" | ":" | "=" | "->" | "+=" | "-=" | "*=" | "/=" | "%=" | "&=" | "|=" | "^=" | "<<=" | ">>="
            | "@" => {
                ends(&mut open);
                operand = false;
            }
            "." => {}
            "++" | "--" => operand = true,
            "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^" | "<<" | ">>" | "<" | ">" | "<=" | ">=" | "==" | "!="
            | "&&" | "||" => {
                // An operator without a preceding operand is unary.
                if operand {
                    let (line, operators) = open.last_mut().expect("what closes has been opened");
                    *line = token.line;
                    operators.push(token.text);
                }
                operand = false;
            }
            "!" | "~" => operand = false,
            "return" | "if" | "else" | "for" | "while" | "switch" | "case" | "default" | "let" | "var" | "const"
            | "in" => {
                operand = false;
            }
            _ => operand = true,
        }
    }
    found
}

/// Returns the objection of WGSL's grammar to these operators in one expression without parentheses.
fn mixed(operators: &[&str]) -> Option<&'static str> {
    let is = |set: &[&str]| operators.iter().any(|operator| set.contains(operator));
    if is(&["&", "|", "^"]) {
        let same = operators.iter().all(|operator| *operator == operators[0]);
        return (!same).then_some("`&`, `|` and `^` stand between operands that are in parentheses");
    }
    if is(&["&&"]) && is(&["||"]) {
        return Some("`&&` and `||` are mixed");
    }
    for comparison in operators.split(|operator| ["&&", "||"].contains(operator)) {
        let compares = |operator: &&str| ["<", ">", "<=", ">=", "==", "!="].contains(operator);
        if comparison.iter().filter(|operator| compares(operator)).count() > 1 {
            return Some("comparisons are in a chain");
        }
        for side in comparison.split(|operator| compares(operator)) {
            if side.len() > 1 && side.iter().any(|operator| ["<<", ">>"].contains(operator)) {
                return Some("a shift stands between operands that are in parentheses");
            }
        }
    }
    None
}

/// Texts that a browser refused or misread, each with its fault.
#[test]
fn what_tint_refuses_is_found() {
    for (text, said) in [
        // These were once in the crate's shaders.
        ("const LEAST: f32 = -3.4028235e38;", "line 1: 3.4028235e38 is more than 3.4028234663852886e38"),
        ("fn f() { let c = a != b & d; }", "operands that are in parentheses: != &"),
        ("fn f() { let c = a >= b | d; }", "operands that are in parentheses: >= |"),
        (
            "fn f() {\n for (var i = 0u; i < 4u; i++) {\n var a: array<vec4<f32>, 4>; } }",
            "line 3: `var a` in a loop has no value",
        ),
        // These are similar.
        ("fn f() { loop { if c { var a: u32; } } }", "`var a` in a loop has no value"),
        ("fn f() { while true { var a: u32; } }", "`var a` in a loop has no value"),
        ("fn f() { let c = a & b | d; }", "in parentheses: & |"),
        ("fn f() { let c = a & b << 2u; }", "in parentheses: & <<"),
        ("fn f() { let c = g(a, b ^ d + 1u); }", "in parentheses: ^ +"),
        ("fn f() { let c = a && b || d; }", "`&&` and `||` are mixed: && ||"),
        ("fn f() { if a < b == d { } }", "comparisons are in a chain: < =="),
        ("fn f() { x[a << 1u + b] = 2; }", "a shift stands between operands that are in parentheses: << +"),
        ("fn f() { x = a << 1u << b; }", "a shift stands between operands that are in parentheses: << <<"),
        ("fn f() { x = a + b >> 1u; }", "a shift stands between operands that are in parentheses: + >>"),
        ("const A = 1e39f;", "1e39f is more than"),
        ("const A = 65520.0h;", "65520.0h is more than"),
        ("const A = 0x1p128;", "write it in decimal"),
        ("const A = 4294967296u;", "4294967296u is more than 4294967295"),
        ("const A = 0x80000000i;", "0x80000000i is more than 2147483647"),
    ] {
        let faults = faults(text);
        assert!(faults.len() == 1 && faults[0].contains(said), "{text}: {faults:?}");
    }
}

#[test]
fn what_the_grammar_allows_is_let_be() {
    let text = "
        @group(0) @binding(0) var<storage, read> x: array<vec4<f32>>; // a < b == c
        const LEAST: f32 = -3.40282346e38;
        const BITS = 0xffffffffu;
        fn f(p: ptr<function, array<vec2<f32>, 4>>, q: u32) -> vec4<f32> {
            var none: u32;
            for (var i = 0u; i < 4u && q >= i; i++) { var a = array<f32, 4>(); (*p)[i] = vec2<f32>(a[i], -a[i] * 2.0); }
            let a = (q & 3u) << 2u | 1u;
        }";
    // The last line but one mixes a shift with `|`; nothing else is found.
    let found = faults(text);
    assert!(found.len() == 1 && found[0].contains("line 8") && found[0].ends_with("<< |"), "{found:?}");
    let text = text.replace("(q & 3u) << 2u | 1u", "((q & 3u) << 2u) | (1u | 2u | q) | -q");
    assert_eq!(faults(&text), [""; 0]);
    let text = "fn f() { let c = a + b * -d < (e << 2u) && !g || false; let d = a < b && c << 1u >= 2u && e != -1; }";
    let found = faults(text);
    assert!(found.len() == 1 && found[0].ends_with("&& ||"), "{found:?}");
}
