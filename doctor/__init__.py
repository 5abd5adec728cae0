"""The doctor: examines everything an installation depends on, when nothing else may work."""
