"""Engines: one file a kind of model."""
