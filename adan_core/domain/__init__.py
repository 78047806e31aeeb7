"""The words every other package speaks: frozen records, enumerations, errors. Imports nothing of ours.

Modules are imported one by one (``from adan_core.domain.orders import Order``) so that a short
command pays only for what it uses.
"""
