"""Everything on one machine: for a first look and for the tests. Nothing here is deployed."""
