"""Money, once: object-free compiled scalar kernels for fills, costs, venue rules, stops and accounts.

The learning environment, the backtest, the paper exchange and the live portfolio call these and
nothing else, so that the same actions over the same candles give the same equity in all of them.
"""
