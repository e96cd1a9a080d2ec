//! How the process takes memory from the system.
//!
//! The C library of most Linux systems gives threads arenas of their own and seldom gives back what was freed in another
//! thread's. Here guests fill pages on some threads and the store empties them on others, so with an arena for each the
//! process grows to several times what it uses. Two are enough: most allocations are served by a cache of the thread's.

/// Keeps the allocator to a few arenas. Does nothing where there are none.
pub fn share_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "a call into the C library that takes two numbers and touches no memory of ours")]
    // SAFETY: `mallopt` may be called at any time, from any thread; a value that it does not take changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
