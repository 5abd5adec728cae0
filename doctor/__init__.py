"""The doctor: examines everything an installation depends on, also when the service is down."""
