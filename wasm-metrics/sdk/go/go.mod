module triality.example/metric

go 1.26
