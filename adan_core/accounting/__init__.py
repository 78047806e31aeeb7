"""Money, once: object-free compiled scalar kernels for fills, fees, slippage, venue rules, stops and the ledger.

The learning environment, the backtest, the paper exchange and the live portfolio call these and
nothing else, so that the same actions over the same candles give the same equity in all of them.
"""
