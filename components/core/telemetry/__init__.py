"""Metrics for Prometheus: definitions (`series`), endpoint (`live`), pushes (`outcome`) and all for a `stage`."""
