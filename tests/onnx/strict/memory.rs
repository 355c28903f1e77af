//! An allocator that bounds a thread's memory: a file that makes the importer exceed the bound ends the test.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The most bytes that the importer may hold at once.
const MOST: isize = 1 << 30;

pub struct Counted;

thread_local! {
    static BOUNDED: Cell<bool> = const { Cell::new(false) };
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// Runs a function under that bound.
pub fn bounded<T>(f: impl FnOnce() -> T) -> T {
    HELD.set(0);
    BOUNDED.set(true);
    let result = f();
    BOUNDED.set(false);
    result
}

/// Returns true if these bytes more are within the bound.
fn take(bytes: isize) -> bool {
    let held = HELD.get() + bytes;
    if BOUNDED.get() && held > MOST {
        return false;
    }
    HELD.set(held);
    true
}

// SAFETY: the system's allocator does all the work; a refused allocation returns a null pointer.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is the same.
        if take(layout.size() as isize) { unsafe { System.alloc(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        take(-(layout.size() as isize));
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !take(size as isize - layout.size() as isize) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's contract is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
