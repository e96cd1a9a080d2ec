//! Components that no Rust compiler makes: a core module written as text, in the wrapping that every component has.
//!
//! All describe themselves as the other guests do. Each does one thing otherwise, mostly in what `check` gives back: the
//! bytes that the host is to make lists and texts of.

use std::{error::Error, fmt::Write as _, path::Path};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where `check` says that its answer lies.
const ANSWER: u32 = 1024;
/// Where the outcomes in it lie, for those that have any.
const OUTCOMES: u32 = 131_072;
/// Bytes of one outcome.
const OUTCOME: usize = 56;
/// Room full of zeros, which are characters.
const TEXT: u32 = 65_536 * 3;
/// Where the descriptor lies.
const DESCRIPTOR: u32 = 4096;

/// What one of them does otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sin {
    /// A text of bytes that are no UTF-8.
    NotUtf8,
    /// A text that lies beyond the memory.
    TextBeyond,
    /// A list that goes on beyond the memory.
    ListBeyond,
    /// A list so long that its size in bytes is no number.
    ListOverflows,
    /// A list at an address where none may begin.
    ListAtOddAddress,
    /// An answer that is neither good nor bad.
    NoSuchResult,
    /// A hint that is neither there nor not.
    NoSuchOption,
    /// An answer that lies beyond the memory.
    AnswerBeyond,
    /// A thousand texts that are all the same 64 KiB.
    ManyOfOne,
    /// Room for the configuration where there is no memory.
    RoomBeyond,
    /// A loop while the host hands the configuration over.
    LoopInRealloc,
    /// A call of the host in the same place.
    CallInRealloc,
    /// A trap after the answer was taken.
    TrapAfterwards,
    /// Tables that grow.
    Tables,
    /// A function that calls itself, with nothing in memory for it.
    Recursion,
    /// A trap in `describe`.
    TrapInDescribe,
    /// A descriptor of bytes that are no UTF-8.
    DescribeNotUtf8,
    /// A descriptor that lies beyond the memory.
    DescribeBeyond,
    /// A loop in `describe`.
    LoopInDescribe,
    /// A function as long as the format allows, many times.
    CompileBomb,
    /// More than the largest component may have.
    Huge,
}

/// Words of an answer or an outcome, as the data of a module.
fn words(words: &[u32]) -> String {
    bytes(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
}

fn bytes(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 3), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}

fn data(at: u32, content: &str) -> String {
    format!("(data (i32.const {at}) \"{content}\")\n")
}

/// An answer with this list of outcomes.
fn answer(list: u32, length: u32) -> String {
    data(ANSWER, &words(&[0, 0, list, length]))
}

/// The words of an outcome whose message lies there, and which has this for the presence of a hint.
fn outcome(message: (u32, u32), hint: u32) -> [u32; OUTCOME / 4] {
    [0, 0, 0, 0, message.0, message.1, hint, 0, 0, 0, 0, 0, 0, 0]
}

fn one_outcome(message: (u32, u32), hint: u32) -> String {
    answer(OUTCOMES, 1) + &data(OUTCOMES, &words(&outcome(message, hint)))
}

/// The parts of a module that differ.
struct Parts {
    /// The bodies of functions.
    describe: String,
    realloc: String,
    check: String,
    /// Where the descriptor lies and how long it is.
    descriptor: (u32, u32),
    imports: String,
    more: String,
}

/// All of them, by name.
const ALL: [(&str, Sin); 21] = [
    ("text_not_utf8", Sin::NotUtf8),
    ("text_beyond", Sin::TextBeyond),
    ("list_beyond", Sin::ListBeyond),
    ("list_overflows", Sin::ListOverflows),
    ("list_at_odd_address", Sin::ListAtOddAddress),
    ("no_such_result", Sin::NoSuchResult),
    ("no_such_option", Sin::NoSuchOption),
    ("answer_beyond", Sin::AnswerBeyond),
    ("many_of_one", Sin::ManyOfOne),
    ("room_beyond", Sin::RoomBeyond),
    ("loop_in_realloc", Sin::LoopInRealloc),
    ("call_in_realloc", Sin::CallInRealloc),
    ("trap_afterwards", Sin::TrapAfterwards),
    ("tables", Sin::Tables),
    ("recursion", Sin::Recursion),
    ("trap_in_describe", Sin::TrapInDescribe),
    ("describe_not_utf8", Sin::DescribeNotUtf8),
    ("describe_beyond", Sin::DescribeBeyond),
    ("loop_in_describe", Sin::LoopInDescribe),
    ("compile_bomb", Sin::CompileBomb),
    ("huge", Sin::Huge),
];

/// A name and a component.
pub(crate) type Named = (&'static str, Vec<u8>);

/// Every one of them.
pub(crate) fn all() -> Result<Vec<Named>, Box<dyn Error>> {
    ALL.into_iter().map(|(name, sin)| Ok((name, sin.component()?))).collect()
}

impl Sin {
    fn component(self) -> Result<Vec<u8>, Box<dyn Error>> {
        let mut component = wrapped(&self.module())?;
        if self == Self::Huge {
            // A custom section of zeros: what it holds is nobody's business, how long it is, is.
            let length = 33_u32 << 20;
            component.push(0);
            leb(length + 1, &mut component);
            component.resize(component.len() + length as usize + 1, 0);
        }
        Ok(component)
    }

    fn module(self) -> String {
        let mut parts = Parts {
            describe: "(i32.const 16)".into(),
            realloc: "(local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (local.get $at)"
                .into(),
            check: format!("(i32.const {ANSWER})"),
            descriptor: (DESCRIPTOR, u32::try_from(descriptor().len()).unwrap_or_default()),
            imports: String::new(),
            more: String::new(),
        };
        let endless = "(loop $l (br $l)) (unreachable)".to_owned();
        match self {
            Self::NotUtf8 => parts.more = one_outcome((TEXT, 4), 0) + &data(TEXT, "\\ff\\fe\\c0\\80"),
            Self::TextBeyond => parts.more = one_outcome((0x7fff_0000, 16), 0),
            Self::ListBeyond => parts.more = answer(OUTCOMES, 100_000),
            Self::ListOverflows => parts.more = answer(OUTCOMES, u32::MAX),
            Self::ListAtOddAddress => parts.more = answer(OUTCOMES + 1, 1),
            Self::NoSuchResult => parts.more = data(ANSWER, &words(&[7])),
            Self::NoSuchOption => parts.more = one_outcome((0, 0), 7),
            Self::AnswerBeyond => parts.check = "(i32.const -8)".into(),
            Self::ManyOfOne => {
                let all: String = (0..1000).map(|_| words(&outcome((TEXT, 65_535), 0))).collect();
                parts.more = answer(OUTCOMES, 1000) + &data(OUTCOMES, &all);
            }
            Self::RoomBeyond => parts.realloc = "(i32.const -8)".into(),
            Self::LoopInRealloc => parts.realloc = endless,
            Self::CallInRealloc => {
                parts.imports = r#"(import "wharfinger:connector/log@0.1.0" "enabled"
                    (func $enabled (param i32 i32) (result i32)))"#
                    .into();
                parts.realloc = format!("(drop (call $enabled (i32.const 0) (i32.const 0))) {}", parts.realloc);
            }
            Self::TrapAfterwards => {
                parts.more = answer(0, 0)
                    + r#"(func (export "cabi_post_wharfinger:connector/check@0.1.0#run") (param i32) (unreachable))"#;
            }
            Self::Tables => {
                parts.more = "(table $t 1 funcref)".into();
                parts.check = "(loop $l (br_if $l (i32.ne (i32.const -1)
                    (table.grow $t (ref.null func) (i32.const 1000))))) (unreachable)"
                    .into();
            }
            Self::Recursion => {
                parts.more = "(func $down (result i32) (i32.add (i32.const 1) (call $down)))".into();
                parts.check = "(call $down)".into();
            }
            Self::TrapInDescribe => parts.describe = "(unreachable)".into(),
            Self::DescribeNotUtf8 => {
                parts.more = data(TEXT, "\\ff\\fe\\c0\\80");
                parts.descriptor = (TEXT, 4);
            }
            Self::DescribeBeyond => parts.descriptor.1 = 1 << 30,
            Self::LoopInDescribe => parts.describe = endless,
            Self::CompileBomb => parts.more = bomb(),
            Self::Huge => {}
        }
        parts.text()
    }
}

impl Parts {
    fn text(&self) -> String {
        let (at, length) = self.descriptor;
        let Self { describe, realloc, check, imports, more, .. } = self;
        let (descriptor, place) = (data(DESCRIPTOR, &bytes(descriptor().as_bytes())), data(16, &words(&[at, length])));
        format!(
            r#"(module {imports}
            (memory (export "memory") 4)
            (global $next (mut i32) (i32.const 65536))
            {descriptor} {place} {more}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32) {realloc})
            (func (export "wharfinger:connector/descriptor@0.1.0#describe") (result i32) {describe})
            (func (export "wharfinger:connector/check@0.1.0#run") (param i32 i32) (result i32) {check})
            (func (export "wharfinger:connector/catalog@0.1.0#plan") (param i32 i32 i32 i32) (result i32)
                (unreachable))
            (func (export "wharfinger:connector/catalog@0.1.0#read") (param i32) (result i32) (unreachable)))"#
        )
    }
}

fn descriptor() -> &'static str {
    include_str!("descriptor.json")
}

/// Functions in which every value lives to the end: what a compiler keeps in registers and on the stack grows with the
/// square of it.
fn bomb() -> String {
    const FUNCTIONS: usize = 6;
    const VALUES: usize = 12_000;
    let pushes: String = (0..VALUES).map(|n| format!("(i32.mul (local.get 0) (i32.const {n}))")).collect();
    let folds = "(i32.xor)".repeat(VALUES - 1);
    (0..FUNCTIONS).map(|n| format!("(func (export \"f{n}\") (param i32) (result i32) {pushes} {folds})\n")).collect()
}

/// A core module as a component of the contract's world.
fn wrapped(module: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(Path::new("../wit"))?;
    let world = resolve.select_world(&[package], Some("connector"))?;
    let mut core = wat::parse_str(module)?;
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8)?;
    Ok(ComponentEncoder::default().module(&core)?.validate(true).encode()?)
}

fn leb(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
