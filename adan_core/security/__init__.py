"""Secrets, seals, the audit trail, and who may command."""
