"""Who someone is: passwords, TOTP, sessions, throttling. Pure cores, and one shell (`sign_in`) around them."""
