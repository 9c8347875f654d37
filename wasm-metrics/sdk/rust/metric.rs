//! The Rust SDK of triality_metric_v1; see ABI.md for the layout.
//!
//! A metric is a `no_std` program that says `mod metric;` and
//! `export!(DESCRIPTION, eval);`, where `DESCRIPTION` is the JSON and
//! `eval` is `fn(&Table, &mut Results) -> Result<(), &'static str>`. It needs
//! core only, so that any wasm32 target will do. Memory is never given back: an
//! instance lives for one call.
#![allow(dead_code)]

use core::{ptr, slice, str};

pub const LABEL: u32 = 1;
pub const PREDICTION: u32 = 2;
pub const PROBABILITY: u32 = 3;
pub const TEXT: u32 = 4;
pub const OUTPUT: u32 = 5;
pub const LATENCY: u32 = 6;
pub const GROUP: u32 = 7;
pub const EXTRA: u32 = 8;
pub const CLASS: u32 = 9;
pub const PARAMETER: u32 = 10;
// Of version 1.1, which a description asks for by "abi": "1.1".
pub const TOKEN_LOGPROB: u32 = 11;
pub const ARM: u32 = 12;

pub const SHARED: u32 = 0;
pub const A: u32 = 1;
pub const B: u32 = 2;

const TABLE_MAGIC: u32 = 0x3154_4d54;
const RESULT_MAGIC: u32 = 0x3152_4d54;
const MAX_RESULTS: usize = 256;

/// Defines the exports.
#[macro_export]
macro_rules! export {
    ($description:expr, $eval:path) => {
        #[no_mangle]
        pub extern "C" fn triality_metric_v1() {}

        #[no_mangle]
        pub extern "C" fn metric_alloc(size: u32) -> u32 {
            metric::allocate(size as u64) as u32
        }

        #[no_mangle]
        pub extern "C" fn metric_describe() -> u64 {
            metric::pack($description.as_bytes())
        }

        #[no_mangle]
        pub extern "C" fn metric_eval(at: u32, size: u32) -> u64 {
            // The host filled what metric_alloc gave.
            let bytes = unsafe { core::slice::from_raw_parts(at as *const u8, size as usize) };
            metric::evaluate(bytes, $eval)
        }

        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo) -> ! {
            core::arch::wasm32::unreachable()
        }
    };
}

extern "C" {
    static __heap_base: u8; // the linker's: where free memory begins
}

static mut FREE: u64 = 0;

/// The address of `size` bytes on a multiple of 16, or 0 where there is no room.
pub fn allocate(size: u64) -> usize {
    // One thread, so that FREE has one user.
    unsafe {
        if FREE == 0 {
            FREE = (ptr::addr_of!(__heap_base) as u64 + 15) & !15;
        }
        let at = FREE;
        let end = (at + size.max(1) + 15) & !15;
        if end > 0xffff_fff0 {
            return 0;
        }
        let (pages, have) = (((end + 65535) >> 16) as usize, core::arch::wasm32::memory_size(0));
        if pages > have && core::arch::wasm32::memory_grow(0, pages - have) == usize::MAX {
            return 0;
        }
        FREE = end;
        at as usize
    }
}

/// `n` zeros; traps where there is no room.
pub fn zeros(n: usize) -> &'static mut [f64] {
    let at = allocate(8 * n as u64);
    if at == 0 {
        core::arch::wasm32::unreachable();
    }
    unsafe {
        ptr::write_bytes(at as *mut u8, 0, 8 * n);
        slice::from_raw_parts_mut(at as *mut f64, n)
    }
}

/// What an arm's result is called of an output that each arm has.
pub fn of_arm(name: &str, arm: u32) -> &'static str {
    let n = name.len();
    let at = allocate(n as u64 + 2);
    if at == 0 {
        core::arch::wasm32::unreachable();
    }
    let b = unsafe { slice::from_raw_parts_mut(at as *mut u8, n + 2) };
    b[..n].copy_from_slice(name.as_bytes());
    b[n] = b'.';
    b[n + 1] = b'A' + arm as u8 - 1;
    str::from_utf8(b).unwrap_or("")
}

pub fn pack(b: &[u8]) -> u64 {
    (b.as_ptr() as u64) << 32 | b.len() as u64
}

fn word(b: &[u8], at: usize) -> u32 {
    let w = &b[at..at + 4]; // one check for the four
    u32::from_le_bytes([w[0], w[1], w[2], w[3]])
}

/// The table, read in place.
pub struct Table<'a> {
    pub rows: usize,
    b: &'a [u8],
    columns: usize,
}

/// One column of a table.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    pub name: &'a str,
    data: &'a [u8],
    offsets: Option<&'a [u8]>,
    validity: Option<&'a [u8]>,
}

impl<'a> Table<'a> {
    fn record(&self, i: usize) -> &'a [u8] {
        &self.b[16 + 32 * i..48 + 32 * i]
    }

    fn column_at(&self, i: usize) -> Column<'a> {
        let r = self.record(i);
        let (name, data, size) = ((word(r, 12) & !15) as usize, word(r, 16) as usize, word(r, 20) as usize);
        let (offsets, validity) = (word(r, 24) as usize, word(r, 28) as usize);
        let text = match name {
            0 => &[][..],
            _ => &self.b[name + 4..name + 4 + word(self.b, name) as usize],
        };
        Column {
            name: str::from_utf8(text).unwrap_or(""),
            data: &self.b[data..data + size],
            offsets: if offsets == 0 { None } else { Some(&self.b[offsets..offsets + 4 * (self.rows + 1)]) },
            validity: if validity == 0 { None } else { Some(&self.b[validity..validity + (self.rows + 7) / 8]) },
        }
    }

    /// The columns of a role and arm, in order: the probabilities of the
    /// classes, say.
    pub fn columns(&self, role: u32, arm: u32) -> impl Iterator<Item = Column<'a>> + '_ {
        (0..self.columns)
            .filter(move |&i| word(self.record(i), 0) == role && word(self.record(i), 4) == arm)
            .map(move |i| self.column_at(i))
    }

    /// The first column of a role and arm.
    pub fn column(&self, role: u32, arm: u32) -> Option<Column<'a>> {
        self.columns(role, arm).next()
    }

    /// The extra column of that name.
    pub fn named(&self, name: &str, arm: u32) -> Option<Column<'a>> {
        self.columns(EXTRA, arm).find(|c| c.name == name)
    }

    /// The names of the classes; class id i is the i-th.
    pub fn classes(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.columns(CLASS, SHARED).map(|c| c.constant())
    }

    /// The names of the arms, in version 1.1; arm i + 1 is the i-th.
    pub fn arms(&self) -> impl Iterator<Item = &'a str> + '_ {
        (1u32..).map_while(move |arm| self.column(ARM, arm)).map(|c| c.constant())
    }

    /// A parameter. The host sends every one the description names; another
    /// name traps.
    pub fn parameter(&self, name: &str) -> Column<'a> {
        self.columns(PARAMETER, SHARED).find(|c| c.name == name).unwrap()
    }

    /// A parameter of type number.
    pub fn number(&self, name: &str) -> f64 {
        self.parameter(name).f64(0)
    }

    /// A parameter of type integer.
    pub fn integer(&self, name: &str) -> i64 {
        self.parameter(name).i64(0)
    }

    /// A parameter of type boolean.
    pub fn boolean(&self, name: &str) -> bool {
        self.parameter(name).i32(0) != 0
    }
}

impl<'a> Column<'a> {
    /// Whether row i has a value.
    pub fn valid(&self, i: usize) -> bool {
        match self.validity {
            Some(v) => v[i >> 3] >> (i & 7) & 1 == 1,
            None => true,
        }
    }

    fn bytes(&self, i: usize) -> [u8; 8] {
        let mut b = [0; 8];
        b.copy_from_slice(&self.data[8 * i..8 * i + 8]);
        b
    }

    pub fn i32(&self, i: usize) -> i32 {
        word(self.data, 4 * i) as i32
    }

    pub fn i64(&self, i: usize) -> i64 {
        i64::from_le_bytes(self.bytes(i))
    }

    pub fn f64(&self, i: usize) -> f64 {
        f64::from_le_bytes(self.bytes(i))
    }

    /// Values of a parameter of type numbers.
    pub fn len(&self) -> usize {
        self.data.len() / 8
    }

    /// Row i of a utf8 column.
    pub fn text(&self, i: usize) -> &'a str {
        let o = self.offsets.unwrap_or(&[]);
        str::from_utf8(&self.data[word(o, 4 * i) as usize..word(o, 4 * i + 4) as usize]).unwrap_or("")
    }

    /// Row i of a f64_list column.
    pub fn list(&self, i: usize) -> impl Iterator<Item = f64> + 'a {
        let (c, o) = (*self, self.offsets.unwrap_or(&[]));
        (word(o, 4 * i) as usize..word(o, 4 * i + 4) as usize).map(move |j| c.f64(j))
    }

    /// The value of a constant utf8 column.
    pub fn constant(&self) -> &'a str {
        str::from_utf8(self.data).unwrap_or("")
    }
}

/// What a metric returns; NaN and infinities are sent as undefined.
pub struct Results {
    count: usize,
    of: [(u32, &'static str, &'static [f64], &'static [u8]); MAX_RESULTS],
}

impl Results {
    pub fn scalar(&mut self, name: &'static str, v: f64) {
        let one = zeros(1);
        one[0] = v;
        self.add(1, name, one);
    }

    pub fn vector(&mut self, name: &'static str, v: &'static [f64]) {
        self.add(2, name, v);
    }

    /// One value a row of the table.
    pub fn column(&mut self, name: &'static str, v: &'static [f64]) {
        self.add(3, name, v);
    }

    /// Of version 1.1: a value and its interval.
    pub fn interval(&mut self, name: &'static str, v: f64, low: f64, high: f64) {
        let three = zeros(3);
        three.copy_from_slice(&[v, low, high]);
        self.add(4, name, three);
    }

    /// Of version 1.1: one value for each of the groups, whose names have 1 to
    /// 128 bytes and are all different.
    pub fn groups(&mut self, name: &'static str, groups: &[&str], v: &'static [f64]) {
        self.add(5, name, v);
        self.of[self.count - 1].3 = names(groups);
    }

    /// Of version 1.1: value, low and high of the first group, and so on.
    pub fn group_intervals(&mut self, name: &'static str, groups: &[&str], v: &'static [f64]) {
        self.add(6, name, v);
        self.of[self.count - 1].3 = names(groups);
    }

    fn add(&mut self, kind: u32, name: &'static str, v: &'static [f64]) {
        self.of[self.count] = (kind, name, v, &[]);
        self.count += 1;
    }

    fn block(&self) -> u64 {
        let all = &self.of[..self.count];
        let size: usize = all.iter().map(|(_, name, v, groups)| 32 + name.len() + 8 * v.len() + (v.len() + 7) / 8 + groups.len()).sum();
        let b = header(16 + size, 0, self.count);
        let mut end = 16 + 32 * self.count;
        for (i, (kind, name, v, groups)) in all.iter().enumerate() {
            let values = end + name.len();
            let validity = values + 8 * v.len();
            let bitmap = (v.len() + 7) / 8;
            b[end..values].copy_from_slice(name.as_bytes());
            b[validity..validity + bitmap].fill(0);
            let mut defined = true;
            for (j, &x) in v.iter().enumerate() {
                let ok = x - x == 0.0;
                b[values + 8 * j..values + 8 * j + 8].copy_from_slice(&(if ok { x } else { 0.0 }).to_le_bytes());
                b[validity + j / 8] |= (ok as u8) << (j % 8);
                defined &= ok;
            }
            let at = if defined { validity } else { validity + bitmap };
            b[at..at + groups.len()].copy_from_slice(groups);
            let record = [*kind, 3, end as u32, name.len() as u32, values as u32, 8 * v.len() as u32,
                if defined { 0 } else { validity as u32 }, if groups.is_empty() { 0 } else { at as u32 }];
            for (j, x) in record.iter().enumerate() {
                b[16 + 32 * i + 4 * j..20 + 32 * i + 4 * j].copy_from_slice(&x.to_le_bytes());
            }
            end = at + groups.len();
        }
        pack(&b[..end])
    }
}

/// The names of groups as a block has them: where each begins and the last ends,
/// then the bytes.
fn names(groups: &[&str]) -> &'static [u8] {
    let offsets = 4 * (groups.len() + 1);
    let size: usize = groups.iter().map(|g| g.len()).sum();
    let at = allocate((offsets + size) as u64);
    if at == 0 {
        core::arch::wasm32::unreachable();
    }
    let b = unsafe { slice::from_raw_parts_mut(at as *mut u8, offsets + size) };
    b[..4].fill(0);
    let mut end = 0;
    for (i, g) in groups.iter().enumerate() {
        b[offsets + end..offsets + end + g.len()].copy_from_slice(g.as_bytes());
        end += g.len();
        b[4 * i + 4..4 * i + 8].copy_from_slice(&(end as u32).to_le_bytes());
    }
    b
}

fn header(size: usize, status: u32, count: usize) -> &'static mut [u8] {
    let at = allocate(size as u64);
    if at == 0 {
        core::arch::wasm32::unreachable();
    }
    let b = unsafe { slice::from_raw_parts_mut(at as *mut u8, size) };
    for (i, x) in [RESULT_MAGIC, 1, status, count as u32].iter().enumerate() {
        b[4 * i..4 * i + 4].copy_from_slice(&x.to_le_bytes());
    }
    b
}

/// Runs a metric over an encoded table and gives its packed block of results.
pub fn evaluate(b: &'static [u8], eval: fn(&Table, &mut Results) -> Result<(), &'static str>) -> u64 {
    let mut r = Results { count: 0, of: [(0, "", &[], &[]); MAX_RESULTS] };
    let outcome = if b.len() < 16 || word(b, 0) != TABLE_MAGIC || word(b, 4) != 1 {
        Err("the table is not one of version 1")
    } else {
        eval(&Table { rows: word(b, 8) as usize, b, columns: word(b, 12) as usize }, &mut r)
    };
    match outcome {
        Ok(()) => r.block(),
        Err(text) => {
            let b = header(16 + text.len(), 1, text.len());
            b[16..].copy_from_slice(text.as_bytes());
            pack(b)
        }
    }
}
