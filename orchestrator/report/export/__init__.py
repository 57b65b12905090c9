"""What people are given of a run to take elsewhere: its corpus and its adapters, each with a card and its licences."""
