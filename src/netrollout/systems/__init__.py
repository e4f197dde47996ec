"""Parameters, dynamics, response and objectives of each system; called, it names what `netrollout.make` knows."""
