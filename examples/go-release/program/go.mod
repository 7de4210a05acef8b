module example.org/almanac

go 1.26

require example.org/columns v0.3.0
