//! Work in the background: claims due jobs and carries them out. Everything it needs to know stands in the store.
