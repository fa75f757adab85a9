"""Who the two ends of a tunnel are: keys, the enrolment proof, the tunnel handshake."""
