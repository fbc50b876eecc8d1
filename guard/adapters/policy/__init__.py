"""Policy gateways: see `gateway`, the one file to replace for a gateway of one's own."""
