"""Candles: series, synthetic markets, import, validation, store, feeds, state."""
