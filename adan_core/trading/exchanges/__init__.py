"""Exchanges: one protocol, one adapter per kind of venue."""
