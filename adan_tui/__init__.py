"""ADAN's screen. It knows a core only through ``adan_core.runtime.client`` and the domain records."""
