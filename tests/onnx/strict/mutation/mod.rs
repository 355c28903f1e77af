//! Seeded mutations of files, and random nodes: the importer refuses each or plans it, soon and in bounded memory.

mod networks;
mod nodes;

use crate::memory::bounded;
use crate::model::Message;
use crate::plan;
use networks::models;
use shadernet::import::onnx::{Bindings, Onnx};
use shadernet::kernel::Caps;
use shadernet::plan::Plan;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

/// Numbers that divide, overflow, or are mistaken for others.
const NASTY: [i64; 20] = [
    0,
    1,
    2,
    3,
    4,
    7,
    -1,
    -2,
    64,
    255,
    1 << 20,
    (1 << 28) + 1,
    (1 << 31) - 1,
    1 << 31,
    1 << 32,
    1 << 40,
    1 << 62,
    i64::MAX,
    i64::MIN,
    i64::MIN + 1,
];

/// The time limit of one import.
const MOST_TIME: Duration = Duration::from_secs(5);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

/// Returns true if an arbitrary file gets a plan. The importer must decide soon; a busy machine gets a second attempt.
pub fn planned(bytes: &[u8], what: &str) -> bool {
    let attempt = || {
        let start = Instant::now();
        let planned = bounded(|| catch_unwind(|| Onnx::from_bytes(bytes).and_then(|onnx| plan(&onnx)).is_ok()));
        (planned.unwrap_or_else(|_| panic!("{what}: it panicked")), start.elapsed())
    };
    let (mut planned, mut time) = attempt();
    if time > MOST_TIME {
        (planned, time) = attempt();
    }
    assert!(time <= MOST_TIME, "{what}: it took {time:?}");
    planned
}

/// A field of a message in its wire format.
#[derive(Clone)]
struct Field {
    number: u64,
    value: Wire,
}

#[derive(Clone)]
enum Wire {
    Varint(u64),
    Fixed(Vec<u8>),
    Bytes(Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for i in 0..10 {
        let (&first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * i).min(63);
        if first < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Returns the fields of a possible message.
fn fields(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let mut take = |count: usize| {
            let (taken, rest) = bytes.split_at_checked(count)?;
            bytes = rest;
            Some(taken.to_vec())
        };
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut bytes)?),
            1 => Wire::Fixed(take(8)?),
            5 => Wire::Fixed(take(4)?),
            2 => {
                let length = varint(&mut bytes)?;
                let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
                bytes = rest;
                Wire::Bytes(taken.to_vec())
            }
            _ => return None,
        };
        fields.push(Field { number: key >> 3, value });
    }
    Some(fields)
}

fn written(fields: &[Field]) -> Vec<u8> {
    let write = |message: Message, field: &Field| match &field.value {
        Wire::Varint(value) => message.int(field.number, *value as i64),
        Wire::Bytes(bytes) => message.bytes(field.number, bytes),
        Wire::Fixed(bytes) if bytes.len() == 4 => {
            message.float(field.number, f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        }
        // The tested files have no fields of 8 bytes.
        Wire::Fixed(_) => message,
    };
    fields.iter().fold(Message::default(), write).0
}

/// Returns the message with one field changed, here or in a nested message.
fn changed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let Some(mut all) = fields(bytes).filter(|all| !all.is_empty()) else { return scrambled(bytes, random) };
    let at = random.below(all.len());
    match random.below(12) {
        0 => {
            all.remove(at);
        }
        1 => all.insert(at, all[at].clone()),
        2 => {
            let other = random.below(all.len());
            let value = all[other].value.clone();
            all[at].value = value;
        }
        3 => {
            let other = random.below(all.len());
            all.swap(at, other);
        }
        _ => match &mut all[at].value {
            Wire::Varint(value) => *value = random.of(&NASTY) as u64,
            Wire::Fixed(bytes) => {
                let number = random.of(&[0.0, -1.0, f32::NAN, f32::INFINITY, 1e30, 1e-30, -0.5]);
                bytes.splice(..4, number.to_le_bytes());
            }
            Wire::Bytes(bytes) => *bytes = changed(bytes, random),
        },
    }
    written(&all)
}

/// Changes bytes that are no message: text, numbers.
fn scrambled(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match random.below(4) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 if bytes.len() >= 8 => {
            let at = random.below(bytes.len() / 8) * 8;
            bytes[at..at + 8].copy_from_slice(&random.of(&NASTY).to_le_bytes());
        }
        _ => {
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next() as u8;
                }
            }
        }
    }
    bytes
}

fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    if random.below(5) == 0 {
        return scrambled(bytes, random);
    }
    (0..=random.below(2)).fold(bytes.to_vec(), |bytes, _| changed(&bytes, random))
}

/// Collects the models of a folder and its subfolders.
fn files(folder: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.expect("it can be listed").path()) {
        // PyTorch's exports keep their weights in other files: see `exports`.
        if path.is_dir() && !path.ends_with("exports") {
            files(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "onnx") {
            all.push((path.display().to_string(), std::fs::read(&path).expect("it can be read")));
        }
    }
    all.sort();
}

#[test]
fn mutated_files_are_refused_or_planned() {
    let mut random = Random(2);
    let (mut plans, mut count) = (0, 0);
    for (name, bytes) in models() {
        assert!(planned(&bytes, &name), "{name} is whole");
        let mutants = (0..300).map(|_| mutated(&bytes, &mut random));
        let cuts = (0..60).map(|i| bytes[..bytes.len() * i / 60].to_vec());
        for (i, mutant) in mutants.chain(cuts).enumerate() {
            plans += usize::from(planned(&mutant, &format!("{name}, mutant {i}")));
            count += 1;
        }
    }
    // If all files got plans, nothing would be tested; if none did, no file would get far.
    assert!((count / 20..count / 10 * 9).contains(&plans), "{plans} of {count} are plans");
}

/// Plans a network with these sizes, which the exports leave open.
fn sized(onnx: &Onnx, sizes: &[(&str, usize)]) -> shadernet::Result<Plan> {
    let bindings = sizes.iter().fold(Bindings::new(), |bindings, &(name, size)| bindings.size(name, size));
    Plan::new(&onnx.graph(&bindings)?.fused(), 1, &Caps::portable())
}

/// PyTorch's exports, with files of zeros as weights.
#[test]
fn mutated_exports_are_refused_or_planned() {
    let folder = std::env::temp_dir().join(format!("shadernet-mutation-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("it can be made");
    let weights = std::fs::File::create(folder.join("weights.bin")).expect("it can be made");
    weights.set_len(1 << 30).expect("zeros take no room");
    let exports = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/exports");
    let mut random = Random(3);
    let mut plans = 0;
    let (sequence, image) = (&[("sequence", 10)][..], &[("height", 24), ("width", 20)][..]);
    for (name, sizes) in [
        ("bert-script-11", sequence),
        ("gpt-dynamo-18", sequence),
        ("super_resolution-script-9", image),
        ("vit-dynamo-18", &[]),
        ("vit-script-14", &[]),
    ] {
        let bytes = std::fs::read(exports.join(format!("{name}.onnx"))).expect("it is there");
        for i in 0..60 {
            let mutant = if i == 0 { bytes.clone() } else { mutated(&bytes, &mut random) };
            let path = folder.join("mutant.onnx");
            std::fs::write(&path, mutant).expect("it can be written");
            let planned = bounded(|| catch_unwind(|| Onnx::open(&path).and_then(|onnx| sized(&onnx, sizes)).is_ok()));
            let planned = planned.unwrap_or_else(|_| panic!("{name}, mutant {i}: it panicked"));
            assert!(planned || i > 0, "{name} is whole");
            plans += usize::from(planned);
        }
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
    assert!((20..290).contains(&plans), "{plans} mutants were planned");
}
