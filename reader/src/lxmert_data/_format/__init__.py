"""How a store file is laid out and read (docs/format.md). Private: it may change with any version."""
