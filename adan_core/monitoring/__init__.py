"""Alerts, health and the log."""
