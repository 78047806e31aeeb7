"""adan-core: the trading core without a screen."""
