package config

// Settings are what a graph of steps has beside its steps. The keys of the same name in a pipeline YAML mean the same.
type Settings struct {
	Name        string `yaml:"name" doc:"experiment that the run is filed under"`
	OutputDir   string `yaml:"output_dir" doc:"folder for every step's output; made when missing"`
	Seed        uint64 `yaml:"seed" doc:"the seed of every step whose body gives none"`
	Device      string `yaml:"device" as:"device" doc:"auto, cpu or cuda"`
	Devices     int    `yaml:"devices" range:"0..64" doc:"costly steps that run side by side, one to a device: to a card, or to its share of the processor's threads; 0: every card there is, else 1"`
	Threads     int    `yaml:"threads" as:"threads" doc:"worker threads of the cpu device; 0 is all cores"`
	MemoryLimit Bytes  `yaml:"device_memory_limit" doc:"most memory of a card that cuda takes, such as 11GiB; 0: all it has"`
}

// DefaultSettings gives the values that a key left out has.
func DefaultSettings() Settings {
	d := Default()
	return Settings{Name: d.Name, OutputDir: d.OutputDir, Seed: d.Seed, Device: d.Device}
}

func (s Settings) faults() (out []fault) {
	if s.Name == "" {
		out = append(out, fault{"name", "must not be empty"})
	}
	if s.OutputDir == "" {
		out = append(out, fault{"output_dir", "must not be empty"})
	}
	return out
}

// Pipeline is a pipeline with these settings and the defaults elsewhere.
func (s Settings) Pipeline() Pipeline {
	p := Default()
	p.Name, p.OutputDir, p.Seed, p.Device, p.Threads, p.MemoryLimit = s.Name, s.OutputDir, s.Seed, s.Device, s.Threads, s.MemoryLimit
	return p
}
