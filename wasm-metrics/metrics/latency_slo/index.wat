;; Attainment of a latency objective, for one or two arms. ABI.md says what each
;; number means; metrics/accuracy is simpler.
(module
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 4096))

  ;; The description, ended by a zero byte.
  (data (i32.const 1024)
    "{\22name\22: \22latency_slo\22, \22version\22: \221.0.0\22, "
    "\22description\22: \22Attainment of a latency objective: the share of rows answered within limit_ms milliseconds, for each arm, and B minus A. Rows without a latency are left out.\22, "
    "\22formula\22: \22attainment = |latency <= limit_ms| / |rows with a latency|\22, "
    "\22source\22: \22B. Beyer, C. Jones, J. Petoff, N. R. Murphy, Site Reliability Engineering (2016), chapter 4\22, "
    "\22columns\22: [{\22role\22: \22latency\22, \22arm\22: \22A\22}, {\22role\22: \22latency\22, \22arm\22: \22B\22, \22optional\22: true}], "
    "\22outputs\22: [{\22name\22: \22attainment.A\22, \22kind\22: \22scalar\22, \22direction\22: \22higher\22, \22arm\22: \22A\22, \22min\22: 0, \22max\22: 1}, "
    "{\22name\22: \22attainment.B\22, \22kind\22: \22scalar\22, \22direction\22: \22higher\22, \22arm\22: \22B\22, \22min\22: 0, \22max\22: 1}, "
    "{\22name\22: \22attainment.difference\22, \22kind\22: \22scalar\22, \22direction\22: \22higher\22, \22min\22: -1, \22max\22: 1, \22description\22: \22B minus A\22}], "
    "\22parameters\22: [{\22name\22: \22limit_ms\22, \22type\22: \22number\22, \22default\22: 200, \22min\22: 0, \22description\22: \22milliseconds that a row may take\22}]}")

  ;; The block of results, at 256: the header; the records of attainment.A, .B
  ;; and .difference {scalar, f64, name, its length, data, 8, validity, 0}; the
  ;; names at 112; the values at 160, 168, 176; their bitmaps at 184, 185, 186.
  (data (i32.const 256)
    "TMR1" "\01\00\00\00" "\00\00\00\00" "\03\00\00\00"
    "\01\00\00\00" "\03\00\00\00" "\70\00\00\00" "\0c\00\00\00" "\a0\00\00\00" "\08\00\00\00" "\b8\00\00\00" "\00\00\00\00"
    "\01\00\00\00" "\03\00\00\00" "\7c\00\00\00" "\0c\00\00\00" "\a8\00\00\00" "\08\00\00\00" "\b9\00\00\00" "\00\00\00\00"
    "\01\00\00\00" "\03\00\00\00" "\88\00\00\00" "\15\00\00\00" "\b0\00\00\00" "\08\00\00\00" "\ba\00\00\00" "\00\00\00\00"
    "attainment.A" "attainment.B" "attainment.difference")

  (func (export "triality_metric_v1"))

  ;; The next size bytes of memory, on a multiple of 16.
  (func (export "metric_alloc") (param $size i32) (result i32)
    (local $at i32) (local $end i64)
    (local.set $at (global.get $free))
    (local.set $end (i64.and
      (i64.add (i64.add (i64.extend_i32_u (local.get $at)) (i64.extend_i32_u (local.get $size))) (i64.const 15))
      (i64.const -16)))
    (if (i64.gt_u (local.get $end) (i64.const 0xfffffff0)) (then (return (i32.const 0))))
    (if (i64.gt_u (local.get $end) (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16)))
      (then
        (if (i32.eq
              (memory.grow (i32.sub
                (i32.wrap_i64 (i64.shr_u (i64.add (local.get $end) (i64.const 65535)) (i64.const 16)))
                (memory.size)))
              (i32.const -1))
          (then (return (i32.const 0))))))
    (global.set $free (i32.wrap_i64 (local.get $end)))
    (local.get $at))

  (func (export "metric_describe") (result i64)
    (local $end i32)
    (local.set $end (i32.const 1024))
    (loop $next
      (local.set $end (i32.add (local.get $end) (i32.const 1)))
      (br_if $next (i32.load8_u (local.get $end))))
    (i64.or (i64.const 0x40000000000) ;; 1024 << 32
      (i64.extend_i32_u (i32.sub (local.get $end) (i32.const 1024)))))

  ;; The record of the column of a role and arm, or 0.
  (func $column (param $table i32) (param $role i32) (param $arm i32) (result i32)
    (local $record i32) (local $end i32)
    (local.set $record (i32.add (local.get $table) (i32.const 16)))
    (local.set $end (i32.add (local.get $record) (i32.shl (i32.load offset=12 (local.get $table)) (i32.const 5))))
    (block $none
      (loop $next
        (br_if $none (i32.ge_u (local.get $record) (local.get $end)))
        (if (i32.and (i32.eq (i32.load (local.get $record)) (local.get $role))
                     (i32.eq (i32.load offset=4 (local.get $record)) (local.get $arm)))
          (then (return (local.get $record))))
        (local.set $record (i32.add (local.get $record) (i32.const 32)))
        (br $next)))
    (i32.const 0))

  ;; Whether row i of a column has a value.
  (func $valid (param $table i32) (param $record i32) (param $i i32) (result i32)
    (local $bitmap i32)
    (local.set $bitmap (i32.load offset=28 (local.get $record)))
    (if (i32.eqz (local.get $bitmap)) (then (return (i32.const 1))))
    (i32.and
      (i32.shr_u
        (i32.load8_u (i32.add (i32.add (local.get $table) (local.get $bitmap)) (i32.shr_u (local.get $i) (i32.const 3))))
        (i32.and (local.get $i) (i32.const 7)))
      (i32.const 1)))

  ;; Stores result n (0 is A, 1 is B): its value, and its bit where there is a
  ;; row to divide by.
  (func $attain (param $table i32) (param $record i32) (param $limit f64) (param $n i32)
    (local $i i32) (local $rows i32) (local $data i32) (local $within i32) (local $all i32)
    (local.set $rows (i32.load offset=8 (local.get $table)))
    (local.set $data (i32.add (local.get $table) (i32.load offset=16 (local.get $record))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $rows)))
        (if (call $valid (local.get $table) (local.get $record) (local.get $i))
          (then
            (local.set $all (i32.add (local.get $all) (i32.const 1)))
            (local.set $within (i32.add (local.get $within)
              (f64.le
                (f64.load (i32.add (local.get $data) (i32.shl (local.get $i) (i32.const 3))))
                (local.get $limit))))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i32.store8 offset=440 (local.get $n) (i32.ne (local.get $all) (i32.const 0))) ;; 256 + 184
    (if (local.get $all)
      (then (f64.store offset=416 (i32.shl (local.get $n) (i32.const 3)) ;; 256 + 160
        (f64.div (f64.convert_i32_u (local.get $within)) (f64.convert_i32_u (local.get $all)))))))

  (func (export "metric_eval") (param $table i32) (param $size i32) (result i64)
    (local $limit f64) (local $b i32)
    (local.set $limit (f64.load (i32.add (local.get $table)
      (i32.load offset=16 (call $column (local.get $table) (i32.const 10) (i32.const 0))))))
    (call $attain (local.get $table) (call $column (local.get $table) (i32.const 6) (i32.const 1))
      (local.get $limit) (i32.const 0))
    (local.set $b (call $column (local.get $table) (i32.const 6) (i32.const 2)))
    ;; One result for one arm, three for two; set each time, for a second call.
    (i32.store (i32.const 268) (i32.const 1))
    (if (local.get $b)
      (then
        (i32.store (i32.const 268) (i32.const 3))
        (call $attain (local.get $table) (local.get $b) (local.get $limit) (i32.const 1))
        (i32.store8 (i32.const 442) (i32.and (i32.load8_u (i32.const 440)) (i32.load8_u (i32.const 441))))
        (f64.store (i32.const 432) (f64.sub (f64.load (i32.const 424)) (f64.load (i32.const 416))))))
    (i64.const 0x100000000bb))) ;; 256 << 32 | 187
