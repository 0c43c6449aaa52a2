"""The leak check: does an input change when bars change that had not closed by then?"""
