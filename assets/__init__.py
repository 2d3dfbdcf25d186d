"""Dagster assets and checks, one module a lifecycle stage.

These modules do without `from __future__ import annotations`: Dagster reads the annotation of
`context` itself.
"""
