"""The whole service on one machine: the processes of the Procfile, with an embedded Valkey."""
