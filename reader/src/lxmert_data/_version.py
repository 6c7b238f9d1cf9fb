"""The version of the package; that of package.json, which a test compares."""

__version__ = "0.1.0"
