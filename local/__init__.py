"""The whole service on one machine: the processes of the Procfile over an embedded Valkey."""
