"""The domain, pure: what exists (model), who may do what (policy), what is reachable (routes). No I/O, no clock."""
