% Recover a signal from a scalogram by LTFAT: phase-gradient heap integration for wavelets
% (Holighaus, Koliander, Prusa, Abreu 2019, arXiv:1906.00738), then fast Griffin-Lim.
%
%   octave-cli ltfat.m PROBLEM.mat ANSWER.mat
%
% PROBLEM.mat has S (samples x rows), H (frequency responses, bins x rows), band (bins; 1 where the
% signal may be), fc (centre frequencies over Nyquist), tfr (time-frequency ratios), tol, momentum,
% n_iter and seed. ANSWER.mat has x (samples) and seconds (of the processor).

given = argv ();
load (given{1});
addpath (getenv ("LTFAT_PATH"));
ltfatstart (0);
[n_samples, n_rows] = size (S);
for m = 1:n_rows
  g{m} = struct ("H", H(:, m), "foff", 0, "realonly", 0, "L", n_samples);
end
begin = cputime ();
rand ("twister", seed);
c = filterbankconstphase (S, 1, fc(:), tfr(:), "tol", tol, "wavelet", "peakscaling");
dual = filterbankrealdual (g, 1, n_samples);
D = zeros (n_samples, n_rows);
for m = 1:n_rows
  D(:, m) = conj (dual{m}.H);
end
D(! band, :) = 0;

% LTFAT's ifilterbank ends the process with filters as wide as these.
synthesis = @(c) 2 * real (ifft (sum (fft (c) .* D, 2)));
refit = @(c) ifft (fft (synthesis (S .* exp (1i * angle (c)))) .* H);
before = c;
for k = 1:n_iter
  t = refit (c);
  c = t + momentum * (t - before);
  before = t;
end
x = synthesis (S .* exp (1i * angle (before)));
seconds = cputime () - begin;
save ("-v6", given{2}, "x", "seconds");
