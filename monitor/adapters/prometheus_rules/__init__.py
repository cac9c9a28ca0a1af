"""Alert and recording rules for Prometheus, made from the deployment files."""
