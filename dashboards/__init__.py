"""Grafana's dashboards as code. `python -m dashboards` writes them to config/grafana/dashboards."""
