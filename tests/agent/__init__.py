"""The edge agent as a whole: real processes, real packets, against a small hub of the tests' own."""
