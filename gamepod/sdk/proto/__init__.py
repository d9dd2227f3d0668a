"""Messages of Agones' SDK. The modules are made from the .proto files beside them by `make proto`."""
