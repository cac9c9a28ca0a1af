"""The configuration as values, parsed once. Defaults live here and nowhere else.

`monitor.yaml` describes the process, `deployments/NAME.yaml` one monitored model each. Relative paths are relative
to the *project folder*, the parent of the configuration folder.
"""
