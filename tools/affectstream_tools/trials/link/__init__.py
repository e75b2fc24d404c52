"""Two hosts on one machine: what the bus does when the link is bad and the clocks differ."""
